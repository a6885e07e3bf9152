/**
 * HTTP plumbing that all features share: problem details, request ids, limits on bodies, security
 * headers, the API's description.
 */
@NullMarked
package dev.semanticid.web;

import org.jspecify.annotations.NullMarked;
