// Command noop-controller is what the operator's restart is measured against: a controller of
// controller-runtime that watches what the operator watches and makes one pass over each rollout
// that reads all of its namespace from the cache and changes nothing.
package main

import (
	"context"
	"flag"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var rollouts = schema.GroupVersionKind{
	Group: "xcomrollout.dev", Version: "v1alpha1", Kind: "XComBackendRollout",
}

// reconciler makes passes that find nothing to do.
type reconciler struct {
	client.Client
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	rollout := &unstructured.Unstructured{}
	rollout.SetGroupVersionKind(rollouts)
	if err := r.Get(ctx, request.NamespacedName, rollout); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	for _, list := range []client.ObjectList{
		&corev1.PodList{},
		&batchv1.JobList{},
		&appsv1.DeploymentList{},
		&appsv1.StatefulSetList{},
		metadata("ConfigMap"),
		metadata("Secret"),
	} {
		if err := r.List(ctx, list, client.InNamespace(request.Namespace)); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, nil
}

func metadata(kind string) *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: kind + "List"})
	return list
}

func run(workers int) error {
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Metrics: server.Options{BindAddress: "0"},
	})
	if err != nil {
		return err
	}
	watched := &unstructured.Unstructured{}
	watched.SetGroupVersionKind(rollouts)
	err = ctrl.NewControllerManagedBy(manager).
		For(watched).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(&reconciler{manager.GetClient()})
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func main() {
	workers := flag.Int("workers", 4, "passes at once")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	if err := run(*workers); err != nil {
		ctrl.Log.Error(err, "ended")
		os.Exit(1)
	}
}
