/** The semantic-ID service: turns item embeddings into short hierarchical codes and back. */
@NullMarked
package dev.semanticid;

import org.jspecify.annotations.NullMarked;
