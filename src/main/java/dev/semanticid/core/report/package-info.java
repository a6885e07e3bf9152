/**
 * Reports on a codebook and data: errors, use of codes and collisions ({@link
 * dev.semanticid.core.report.QuantizationReport}), and how two versions match ({@link
 * dev.semanticid.core.report.CentroidMatching}).
 */
@NullMarked
package dev.semanticid.core.report;

import org.jspecify.annotations.NullMarked;
