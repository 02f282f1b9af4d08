{{/* Name of all objects: the release's name, with the chart's name added unless it is contained in it. */}}
{{- define "redrec.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of all objects; call with (dict "root" $ "component" "serving"). */}}
{{- define "redrec.labels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "redrec.image" -}}
{{- $tag := .Values.serving.image.tag | required "serving.image.tag is not given. Give the repository and the tag that `make images` printed: --set serving.image.repository=REGISTRY/redrec-serving --set serving.image.tag=VERSION-COMMIT" -}}
{{ .Values.serving.image.repository }}:{{ $tag }}
{{- end -}}

{{- define "redrec.pipelineImage" -}}
{{- $tag := .Values.pipelines.image.tag | required "pipelines.image.tag is not given. Give the repository and the tag that `make images` printed: --set pipelines.image.repository=REGISTRY/redrec-pipeline --set pipelines.image.tag=VERSION-COMMIT-python3.11" -}}
{{ .Values.pipelines.image.repository }}:{{ $tag }}
{{- end -}}

{{/* Permissions of every container of ours; PodSecurity `restricted` allows them. */}}
{{- define "redrec.securityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Name of the claim for run folders, of this release alone unless it is given. */}}
{{- define "redrec.claim" -}}
{{ .Values.serving.claim.name | default (printf "%s-bundles" (include "redrec.fullname" .)) }}
{{- end -}}

{{/* URI in the values; by default, the folder `demo` of the claim. */}}
{{- define "redrec.valuesUri" -}}
{{ .Values.serving.storageUri | default (printf "pvc://%s/demo" (include "redrec.claim" .)) }}
{{- end -}}

{{/* URI to serve: that of the values if it is new, else the live one, since a pipeline may have deployed another release.
     The ServingRuntime remembers which URI of the values was applied last. */}}
{{- define "redrec.storageUri" -}}
{{- $uri := include "redrec.valuesUri" . -}}
{{- $name := include "redrec.fullname" . -}}
{{- $runtime := lookup "serving.kserve.io/v1alpha1" "ServingRuntime" .Release.Namespace $name -}}
{{- $live := lookup "serving.kserve.io/v1beta1" "InferenceService" .Release.Namespace $name -}}
{{- $applied := dig "metadata" "annotations" "redrec/storage-uri" "" ($runtime | default dict) -}}
{{- if and $live (eq $applied $uri) -}}
{{- dig "spec" "predictor" "model" "storageUri" $uri $live -}}
{{- else -}}
{{- $uri -}}
{{- end -}}
{{- end -}}

{{/* What KEDA scales by: seconds of answers per second, which is the mean number of answers in progress. A canary's Service is
     another job of Prometheus. */}}
{{- define "redrec.kedaQuery" -}}
{{- $query := `sum(rate(redrec_answer_seconds_sum{namespace="%s", job="%s-predictor"}[2m]))` -}}
{{ .Values.serving.keda.query | default (printf $query .Release.Namespace (include "redrec.fullname" .)) }}
{{- end -}}

{{/* Name of the claim for exposures, outcomes, ledger and decisions. */}}
{{- define "redrec.experimentClaim" -}}
{{ .Values.experiment.claim.name | default (printf "%s-experiment" (include "redrec.fullname" .)) }}
{{- end -}}

{{/* Name of the claim for the drift history and reports. */}}
{{- define "redrec.driftClaim" -}}
{{ .Values.drift.claim.name | default (printf "%s-drift" (include "redrec.fullname" .)) }}
{{- end -}}

{{/* Name of the claim for Evidently's workspace. */}}
{{- define "redrec.evidentlyClaim" -}}
{{ .Values.evidently.claim.name | default (printf "%s-evidently" (include "redrec.fullname" .)) }}
{{- end -}}

{{- define "redrec.evidentlySelector" -}}
app.kubernetes.io/component: evidently
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "redrec.allocationName" -}}
{{ include "redrec.fullname" . }}-allocation
{{- end -}}

{{/* The allocation to create, or nothing. Of a new experiment it is the plan. Of the live one it is what is live, with the
     coverage of the values if that is new there; if it is not, what is live stays as the gate and its operators left it.
     The annotation remembers which plan of the values was applied last. */}}
{{- define "redrec.allocation" -}}
{{- $plan := .Values.experiment.plan -}}
{{- $live := lookup "v1" "ConfigMap" .Release.Namespace (include "redrec.allocationName" .) | default dict -}}
{{- $applied := dig "metadata" "annotations" "redrec/plan" "{}" $live | fromJson -}}
{{- if ne $plan.experiment (dig "experiment" "" $applied) -}}
{{- toJson (dict "plan" $plan) -}}
{{- else if ne (omit $plan "coverage" | toJson) (omit $applied "coverage" | toJson) -}}
{{- fail (printf "Experiment %s runs with the plan %s. Of a running experiment only the coverage may change: put the other fields of experiment.plan back, or give the experiment another name." $plan.experiment (toJson $applied)) -}}
{{- else if ne (dig "coverage" 1.0 $plan | float64) (dig "coverage" 1.0 $applied | float64) -}}
{{- $allocation := index $live.data "allocation.json" | fromJson -}}
{{- $_ := set $allocation.plan "coverage" (dig "coverage" 1.0 $plan) -}}
{{- toJson $allocation -}}
{{- end -}}
{{- end -}}

{{/* A quantity as a plain number, for comparisons: 1.5Gi is 1610612736, 500m is 0.5. */}}
{{- define "redrec.quantity" -}}
{{- $quantity := toString . -}}
{{- $unit := regexFind "[A-Za-z]+$" $quantity -}}
{{- $factors := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 -}}
{{- mulf (trimSuffix $unit $quantity | float64) (get $factors $unit) -}}
{{- end -}}

{{/* What no schema can say: comparisons of two values. */}}
{{- define "redrec.check" -}}
{{- with .Values.serving -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "serving.minReplicas (%v) is above serving.maxReplicas (%v). Raise maxReplicas." .minReplicas .maxReplicas) -}}
{{- end -}}
{{- if eq (int .grpcPort) (int .metricsPort) -}}
{{- fail (printf "serving.grpcPort and serving.metricsPort are both %v. Give each its own." .grpcPort) -}}
{{- end -}}
{{- with .canary -}}
{{- if and .trafficPercent (not .storageUri) -}}
{{- fail (printf "serving.canary.trafficPercent is %v, and serving.canary.storageUri is not given. Give the next release's run folder, or leave trafficPercent out." .trafficPercent) -}}
{{- end -}}
{{- if eq .storageUri (include "redrec.valuesUri" $) -}}
{{- fail (printf "serving.canary.storageUri and serving.storageUri are both %s. End the canary of a release that all pods serve: --set serving.canary.storageUri= --set serving.canary.trafficPercent=0" .storageUri) -}}
{{- end -}}
{{- if and .storageUri $.Values.experiment.enabled -}}
{{- fail (printf "serving.canary.storageUri is %s, and experiment.enabled is true. A canary answers at random by request, so users of both arms would get it. Leave the canary out until the experiment has ended." .storageUri) -}}
{{- end -}}
{{- end -}}
{{- if .keda.enabled -}}
{{- $_ := .keda.serverAddress | required "serving.keda.serverAddress is not given. Give the address of Prometheus, as in http://prometheus-operated.monitoring:9090" -}}
{{- if eq (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "serving.keda.enabled is true, and serving.minReplicas and serving.maxReplicas are both %v. Raise maxReplicas, or leave serving.keda.enabled out." .minReplicas) -}}
{{- end -}}
{{- if not (or .keda.query .serviceMonitor.enabled) -}}
{{- fail "serving.keda.query is not given, and serving.serviceMonitor.enabled is false, so Prometheus lacks what the default query reads. Enable serving.serviceMonitor, or give a query." -}}
{{- end -}}
{{- end -}}
{{- range $name, $request := .resources.requests -}}
{{- $limit := get $.Values.serving.resources.limits $name -}}
{{- if and $limit (lt (include "redrec.quantity" $limit | float64) (include "redrec.quantity" $request | float64)) -}}
{{- fail (printf "serving.resources.limits.%s (%v) is below its request (%v). Raise the limit." $name $limit $request) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.experiment.enabled -}}
{{- $_ := .Values.experiment.plan.experiment | required "experiment.plan.experiment is not given. Give the plan of the experiment, as `redrec gate --plan` reads it, in experiment.plan." -}}
{{- end -}}
{{- if lookup "v1" "ServiceAccount" .Release.Namespace "default" -}}
{{- include "redrec.checkCluster" . -}}
{{- end -}}
{{- end -}}

{{/* What the cluster must have before anything is installed. */}}
{{- define "redrec.checkCluster" -}}
{{- $namespace := .Release.Namespace -}}
{{- $uri := include "redrec.storageUri" . -}}
{{- with .Values.serving -}}
{{- if not ($.Capabilities.APIVersions.Has "serving.kserve.io/v1beta1/InferenceService") -}}
{{- fail "The cluster has no InferenceService. Install KServe 0.15 or newer first: https://kserve.github.io/website" -}}
{{- end -}}
{{- if and .serviceMonitor.enabled (not ($.Capabilities.APIVersions.Has "monitoring.coreos.com/v1/ServiceMonitor")) -}}
{{- fail "The cluster has no ServiceMonitor. Install the Prometheus Operator first, or leave serving.serviceMonitor.enabled out." -}}
{{- end -}}
{{- if and .keda.enabled (not ($.Capabilities.APIVersions.Has "keda.sh/v1alpha1/ScaledObject")) -}}
{{- fail "The cluster has no ScaledObject. Install KEDA first, or leave serving.keda.enabled out." -}}
{{- end -}}
{{- if and $.Values.experiment.enabled $.Values.experiment.analysisTemplate.enabled (not ($.Capabilities.APIVersions.Has "argoproj.io/v1alpha1/ClusterAnalysisTemplate")) -}}
{{- fail "The cluster has no ClusterAnalysisTemplate. Install Argo Rollouts first, or leave experiment.analysisTemplate.enabled out." -}}
{{- end -}}
{{- range $value, $read := dict "serving.storageUri" $uri "serving.canary.storageUri" .canary.storageUri -}}
{{- $claim := regexFind "^pvc://[^/]+" $read | trimPrefix "pvc://" -}}
{{- $isCreated := and $.Values.serving.claim.create (eq $claim (include "redrec.claim" $)) -}}
{{- if and $claim (not $isCreated) (not (lookup "v1" "PersistentVolumeClaim" $namespace $claim)) -}}
{{- fail (printf "The claim %s of %s does not exist in namespace %s. Create it first, or let the chart create it: --set serving.claim.create=true --set serving.claim.name=%s" $claim $value $namespace $claim) -}}
{{- end -}}
{{- end -}}
{{- with .existingSecret -}}
{{- $secret := lookup "v1" "Secret" $namespace . -}}
{{- if not $secret -}}
{{- fail (printf "The Secret %s of serving.existingSecret does not exist in namespace %s. Create it first: kubectl create secret generic %s --namespace %s --from-literal=AWS_ACCESS_KEY_ID=... --from-literal=AWS_SECRET_ACCESS_KEY=..." . $namespace . $namespace) -}}
{{- end -}}
{{- $endpoint := dig "data" "AWS_ENDPOINT_URL" "" $secret | b64dec -}}
{{- $isKnown := or (dig "data" "S3_ENDPOINT" "" $secret) (dig "metadata" "annotations" "serving.kserve.io/s3-endpoint" "" $secret) -}}
{{- $isStore := or (hasPrefix "s3://" $uri) (hasPrefix "s3://" $.Values.serving.canary.storageUri) -}}
{{- if and $endpoint (not $isKnown) $isStore -}}
{{- $host := regexReplaceAll "^https?://" $endpoint "" | trimSuffix "/" -}}
{{- $https := ternary "1" "0" (hasPrefix "https://" $endpoint) -}}
{{- fail (printf "KServe does not read AWS_ENDPOINT_URL of the Secret %s. Annotate the Secret first: kubectl annotate secret %s --namespace %s serving.kserve.io/s3-endpoint=%s serving.kserve.io/s3-usehttps=%s" . . $namespace $host $https) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
