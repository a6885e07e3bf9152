/** The int8 backend on oneDNN; the only package that imports it. */
@NullMarked
package dev.semanticid.onednn;

import org.jspecify.annotations.NullMarked;
