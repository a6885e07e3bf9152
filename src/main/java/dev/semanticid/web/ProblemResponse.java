package dev.semanticid.web;

import java.lang.annotation.ElementType;
import java.lang.annotation.Repeatable;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Documents one error status of an operation, or of all that a controller has, with the problem
 * codes it comes with.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Repeatable(ProblemResponse.All.class)
public @interface ProblemResponse {

  /** The HTTP status. */
  String status();

  /** The codes, comma-separated. */
  String codes();

  /** Several of them. */
  @Target({ElementType.TYPE, ElementType.METHOD})
  @Retention(RetentionPolicy.RUNTIME)
  @interface All {
    /** Several of them. */
    ProblemResponse[] value();
  }
}
