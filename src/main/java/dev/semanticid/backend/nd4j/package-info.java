/**
 * The backend on ND4J, {@link dev.semanticid.backend.nd4j.Nd4jBackend}. The only package that
 * imports ND4J.
 */
@NullMarked
package dev.semanticid.backend.nd4j;

import org.jspecify.annotations.NullMarked;
