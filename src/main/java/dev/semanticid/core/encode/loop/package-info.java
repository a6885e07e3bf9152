/**
 * The definition of a code in plain float64: {@link dev.semanticid.core.encode.loop.ResidualLoop}
 * for the greedy code, {@link dev.semanticid.core.encode.loop.BeamLoop} for the code of a beam
 * search. Every fast plan must give the same codes.
 */
@NullMarked
package dev.semanticid.core.encode.loop;

import org.jspecify.annotations.NullMarked;
