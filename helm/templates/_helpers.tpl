{{- define "semantic-id.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "semantic-id.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "semantic-id.labels" -}}
{{ include "semantic-id.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "semantic-id.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "semantic-id.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "semantic-id.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) (ternary .Values.gpu.tagSuffix "" .Values.gpu.enabled) -}}
{{- end -}}
{{- end -}}

{{/* Settings as the environment that Spring Boot reads them from: semantic-id.data-dir is SEMANTIC_ID_DATA_DIR. */}}
{{- define "semantic-id.environment" -}}
{{- range $name, $value := .Values.settings }}
{{- $text := toString $value }}
{{- if kindIs "slice" $value }}
{{- $text = join "," $value }}
{{- else if kindIs "float64" $value }}
{{- if eq (floor $value) $value }}{{/* Helm reads 1000000 as 1e+06. */}}
{{- $text = int64 $value | toString }}
{{- end }}
{{- end }}
{{ $name | upper | replace "." "_" | replace "-" "_" }}: {{ $text | quote }}
{{- end }}
{{- end -}}

{{/* The names of both Services, as pods of any namespace write them, and those that the values add. */}}
{{- define "semantic-id.allowedHosts" -}}
{{- $hosts := list -}}
{{- range $service := list (include "semantic-id.fullname" .) (printf "%s-management" (include "semantic-id.fullname" .)) -}}
{{- $namespaced := printf "%s.%s" $service $.Release.Namespace -}}
{{- $hosts = concat $hosts (list $service $namespaced (printf "%s.svc" $namespaced) (printf "%s.svc.cluster.local" $namespaced)) -}}
{{- end -}}
{{- join "," (concat $hosts .Values.security.allowedHosts) -}}
{{- end -}}

{{- define "semantic-id.apiKeysSecret" -}}
{{- if .Values.security.apiKeys.existingSecret -}}
{{- .Values.security.apiKeys.existingSecret -}}
{{- else if .Values.security.apiKeys.keys -}}
{{- printf "%s-api-keys" (include "semantic-id.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "semantic-id.databaseUrl" -}}
{{- if .Values.database.trial.enabled -}}
{{- printf "jdbc:postgresql://%s-database:5432/semantic_id" (include "semantic-id.fullname" .) -}}
{{- else -}}
{{- .Values.database.url -}}
{{- end -}}
{{- end -}}

{{- define "semantic-id.databaseSecret" -}}
{{- default (printf "%s-database" (include "semantic-id.fullname" .)) .Values.database.existingSecret -}}
{{- end -}}

{{/* Not the service's own name: its Service would send requests there. */}}
{{- define "semantic-id.databaseSelector" -}}
app.kubernetes.io/name: {{ printf "%s-database" (default .Chart.Name .Values.nameOverride) | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "semantic-id.databaseLabels" -}}
{{ include "semantic-id.databaseSelector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Combinations that would lose or split the store are refused, with the reason. */}}
{{- define "semantic-id.validate" -}}
{{- $replicas := ternary .Values.autoscaling.maxReplicas .Values.replicaCount .Values.autoscaling.enabled | int -}}
{{- if and (gt $replicas 1) (not (include "semantic-id.databaseUrl" .)) -}}
{{- fail (printf "%d replicas need a database that they share: set database.url and database.existingSecret, or for a trial database.trial.enabled. The embedded store belongs to one process: without a database, replicaCount must be 1 and autoscaling.enabled false." $replicas) -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) -}}
{{- fail (printf "autoscaling.maxReplicas (%d) must not be below autoscaling.minReplicas (%d)." (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) -}}
{{- end -}}
{{- if and .Values.database.url .Values.database.trial.enabled -}}
{{- fail "there must be one of database.url and database.trial.enabled, not both." -}}
{{- end -}}
{{- if and .Values.database.trial.enabled (not .Values.database.existingSecret) (not .Values.database.trial.password) -}}
{{- fail "database.trial.enabled needs database.trial.password, or database.existingSecret, a secret with the user's name and password." -}}
{{- end -}}
{{- if and .Values.database.url (not .Values.database.existingSecret) -}}
{{- fail "database.url needs database.existingSecret, a secret with the user's name and password." -}}
{{- end -}}
{{- if lt (int .Values.shutdown.terminationGracePeriodSeconds) (add (int .Values.shutdown.preStopSeconds) 45 | int) -}}
{{- fail (printf "shutdown.terminationGracePeriodSeconds must be at least %d: shutdown.preStopSeconds, 20 s for requests, 20 s for jobs to keep where they are, and 5 s to end." (add (int .Values.shutdown.preStopSeconds) 45 | int)) -}}
{{- end -}}
{{- $credentials := or .Values.security.apiKeys.keys .Values.security.apiKeys.existingSecret .Values.security.oauth2.issuerUri -}}
{{- if and (eq .Values.security.mode "auto") (not $credentials) -}}
{{- fail "nobody would have to authenticate: set security.apiKeys.keys, security.apiKeys.existingSecret or security.oauth2.issuerUri, or security.mode=none where a mesh or the network lets in only those who may." -}}
{{- end -}}
{{- if and (eq .Values.security.mode "none") $credentials -}}
{{- fail "security.mode=none lets in everybody, but security.apiKeys or security.oauth2 is set." -}}
{{- end -}}
{{- if and .Values.security.apiKeys.keys .Values.security.apiKeys.existingSecret -}}
{{- fail "there must be one of security.apiKeys.keys and security.apiKeys.existingSecret, not both." -}}
{{- end -}}
{{- if and .Values.security.oauth2.audiences (not .Values.security.oauth2.issuerUri) -}}
{{- fail "security.oauth2.audiences goes with security.oauth2.issuerUri only." -}}
{{- end -}}
{{- if and .Values.security.allowedHosts (ne .Values.security.mode "none") -}}
{{- fail "security.allowedHosts goes with security.mode=none only: where clients authenticate, every host name is accepted." -}}
{{- end -}}
{{- if and .Values.security.oauth2.issuerUri .Values.security.oauth2.requireAudience (not .Values.security.oauth2.audiences) -}}
{{- fail "security.oauth2.issuerUri needs security.oauth2.audiences, the names that the issuer writes into the claim aud of this service's tokens; or set security.oauth2.requireAudience=false where the issuer serves nobody else." -}}
{{- end -}}
{{- range $name, $value := .Values.settings -}}
{{- if has $name (list "semantic-id.data-dir" "semantic-id.data-root" "server.port" "server.address" "management.server.port" "management.server.address" "semantic-id.security.mode" "semantic-id.security.allowed-hosts" "semantic-id.security.require-audience" "semantic-id.security.api-keys-file" "spring.security.oauth2.resourceserver.jwt.issuer-uri" "spring.datasource.url" "spring.profiles.active") -}}
{{- fail (printf "settings must not have %s, which the chart sets itself." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
