#!/usr/bin/env bash
# Runs the backup of backup-cronjob.yaml now, and waits for its end.
#
#   backup-now.sh job      the job's name, which must not be taken
#
#   NAMESPACE   (memory)
#
# Exit codes: 0 a dump was made, else not.
set -euo pipefail

job=${1:?usage: backup-now.sh job}
namespace=${NAMESPACE:-memory}

kubectl create job --namespace "$namespace" --from=cronjob/memory-backup "$job"
# `kubectl wait` waits for one condition, and a job that has failed is never complete.
while ended=$(kubectl get job --namespace "$namespace" "$job" --output 'jsonpath={.status.conditions[?(@.status=="True")].type}'); do
    case " $ended " in
        *' Complete '*) exit 0 ;;
        *' Failed '*) break ;;
    esac
    sleep 10
done
kubectl logs --namespace "$namespace" "job/$job" >&2 || true
echo "backup-now: job $job failed, or cannot be asked for: there may be no backup" >&2
exit 1
