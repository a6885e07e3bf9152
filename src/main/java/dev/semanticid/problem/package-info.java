/**
 * Errors that a user can cause: a stable {@link dev.semanticid.problem.ProblemCode} and a {@link
 * dev.semanticid.problem.ProblemException} with a sentence for a person. Knows no transport.
 */
@NullMarked
package dev.semanticid.problem;

import org.jspecify.annotations.NullMarked;
