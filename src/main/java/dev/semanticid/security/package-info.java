/**
 * Who may do what: API keys, tokens of an OAuth 2 issuer, and scopes. Where there are neither keys
 * nor an issuer, everybody is let in but web pages of other origins.
 */
@NullMarked
package dev.semanticid.security;

import org.jspecify.annotations.NullMarked;
