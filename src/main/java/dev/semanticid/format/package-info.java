/**
 * Files of vectors and of codebooks: NumPy's {@code .npy}, raw rows and safetensors. Needs the JDK
 * alone. Every claim of a file is checked and bounded before memory is allocated for it; a file
 * that breaks its format raises a {@link dev.semanticid.format.FormatException}.
 */
@NullMarked
package dev.semanticid.format;

import org.jspecify.annotations.NullMarked;
