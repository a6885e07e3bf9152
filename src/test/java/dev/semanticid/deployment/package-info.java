/** The files that the service is deployed with: chart, alerts, dashboard. */
@NullMarked
package dev.semanticid.deployment;

import org.jspecify.annotations.NullMarked;
