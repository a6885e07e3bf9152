/**
 * Shared limits: heap for requests ({@link dev.semanticid.budget.MemoryBudget}) and disk for
 * uploads and jobs ({@link dev.semanticid.budget.ScratchSpace}).
 */
@NullMarked
package dev.semanticid.budget;

import org.jspecify.annotations.NullMarked;
