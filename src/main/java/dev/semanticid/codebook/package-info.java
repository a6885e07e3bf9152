/**
 * Codebook versions and aliases: the store, what is resident and served, and their HTTP interface.
 */
@NullMarked
package dev.semanticid.codebook;

import org.jspecify.annotations.NullMarked;
