package dev.semanticid.job;

/**
 * This process does not hold a job any more: another one may have it, and nothing that this one
 * makes of it counts.
 */
final class ClaimLostException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  ClaimLostException(String id) {
    super("this process does not hold job %s any more".formatted(id));
  }
}
