/** Rows for jobs: files and objects of every format that is read, as one sequence of vectors. */
@NullMarked
package dev.semanticid.source;

import org.jspecify.annotations.NullMarked;
