/**
 * Picks the compute backend at start ({@link dev.semanticid.backend.ComputeConfiguration}), watches
 * its health, and makes the threads that work in the background.
 */
@NullMarked
package dev.semanticid.backend;

import org.jspecify.annotations.NullMarked;
