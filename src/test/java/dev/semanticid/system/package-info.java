@NullMarked
package dev.semanticid.system;

import org.jspecify.annotations.NullMarked;
