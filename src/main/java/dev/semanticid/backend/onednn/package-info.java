/**
 * The 8-bit backend on oneDNN, {@link dev.semanticid.backend.onednn.OneDnnBackend}. The only
 * package that imports oneDNN.
 */
@NullMarked
package dev.semanticid.backend.onednn;

import org.jspecify.annotations.NullMarked;
