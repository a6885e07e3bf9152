/** Rules about the source itself: who may depend on whom, and how files are formatted. */
@NullMarked
package dev.semanticid.architecture;

import org.jspecify.annotations.NullMarked;
