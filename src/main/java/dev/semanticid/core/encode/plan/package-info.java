/**
 * Fast ways to compute the same codes. {@link dev.semanticid.core.encode.plan.EncodingPlan} is the
 * interface; the quantizer picks the plan.
 */
@NullMarked
package dev.semanticid.core.encode.plan;

import org.jspecify.annotations.NullMarked;
