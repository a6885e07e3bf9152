/**
 * Codebook versions and aliases: the store, the versions in memory ({@link
 * dev.semanticid.codebook.CodebookRegistry}), and {@code /codebooks}.
 */
@NullMarked
package dev.semanticid.codebook;

import org.jspecify.annotations.NullMarked;
