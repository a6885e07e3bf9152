/** The semantic-ID service: item embeddings in, short hierarchical codes out. */
@NullMarked
package dev.semanticid;

import org.jspecify.annotations.NullMarked;
