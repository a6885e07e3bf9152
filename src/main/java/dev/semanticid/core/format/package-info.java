/**
 * Files of vectors and of trained levels: NumPy's {@code .npy}, raw rows, and safetensors. Whatever
 * a file claims is checked, and bounded, before anything is allocated for it; a file that breaks
 * its format raises a {@link dev.semanticid.core.format.FormatException}.
 */
@NullMarked
package dev.semanticid.core.format;

import org.jspecify.annotations.NullMarked;
