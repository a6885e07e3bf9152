/** Semantic IDs as a library: needs the JDK alone, and a compute backend if it shall be fast. */
@NullMarked
package dev.semanticid.core;

import org.jspecify.annotations.NullMarked;
