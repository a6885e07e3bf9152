/** Settings of the service. */
@NullMarked
package dev.semanticid.settings;

import org.jspecify.annotations.NullMarked;
