/** The compute backend on ND4J; the only package that knows ND4J. */
@NullMarked
package dev.semanticid.nd4j;

import org.jspecify.annotations.NullMarked;
