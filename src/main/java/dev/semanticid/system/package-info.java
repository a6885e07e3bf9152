/**
 * What all features share: settings, the compute backend, problem details, the API's description.
 */
@NullMarked
package dev.semanticid.system;

import org.jspecify.annotations.NullMarked;
