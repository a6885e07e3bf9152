@NullMarked
package dev.semanticid.job;

import org.jspecify.annotations.NullMarked;
