/** {@code POST /train}: checks the request, keeps its upload, and trains as a job. */
@NullMarked
package dev.semanticid.train;

import org.jspecify.annotations.NullMarked;
