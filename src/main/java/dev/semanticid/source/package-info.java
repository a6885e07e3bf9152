/**
 * Rows for jobs: files and objects of every readable format as one sequence of vectors. {@link
 * dev.semanticid.source.Sources} opens them.
 */
@NullMarked
package dev.semanticid.source;

import org.jspecify.annotations.NullMarked;
