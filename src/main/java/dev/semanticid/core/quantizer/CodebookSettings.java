package dev.semanticid.core.quantizer;

/**
 * The settings of a codebook that decide codes; part of its fingerprint.
 *
 * @param normalizeResiduals whether every level works on residuals divided by their norm
 */
public record CodebookSettings(boolean normalizeResiduals) {}
