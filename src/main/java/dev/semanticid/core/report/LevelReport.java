package dev.semanticid.core.report;

/**
 * What one level of a codebook did to the data.
 *
 * @param level the level, 0-based
 * @param width number of centroids K_l
 * @param inertia Σ‖u_l − C_l[k_l]‖² over all rows
 * @param residualNormRatio Frobenius norm of the residuals behind the level over that of level 0's
 *     input, as the algorithm sees them
 * @param coverage used codes / width
 * @param deadCodes centroids that no row chose
 * @param entropy −Σ p·ln p of the use of codes, in nats
 * @param perplexity e to the entropy
 * @param exhausted rows whose residual was exhausted at the entry of the level
 * @param meanNorm mean ‖r_l‖ at the entry of the level, exhausted rows counting as 0
 */
public record LevelReport(
    int level,
    int width,
    double inertia,
    double residualNormRatio,
    double coverage,
    int deadCodes,
    double entropy,
    double perplexity,
    long exhausted,
    double meanNorm) {}
