// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const writers = 16

func migrations(kubeconfig string) (dynamic.ResourceInterface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	resource := schema.GroupVersionResource{Group: "cutover.dev", Version: "v1alpha1", Resource: "tenantmigrations"}
	return client.Resource(resource).Namespace("default"), nil
}

// each calls do(0) … do(count-1) on several goroutines; the first error is returned at the end.
func each(count int, do func(int) error) error {
	numbers := make(chan int)
	failures := make(chan error, writers)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			var failed error
			for n := range numbers {
				if failed == nil {
					failed = do(n)
				}
			}
			failures <- failed
		})
	}
	for n := range count {
		numbers <- n
	}
	close(numbers)
	group.Wait()
	close(failures)
	for failed := range failures {
		if failed != nil {
			return failed
		}
	}
	return nil
}

func name(n int) string { return fmt.Sprintf("tenant-%05d", n) }

func load(kubeconfig string, count int) error {
	client, err := migrations(kubeconfig)
	if err != nil {
		return err
	}
	return each(count, func(n int) error {
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "cutover.dev/v1alpha1",
			"kind":       "TenantMigration",
			"metadata": map[string]any{"name": name(n), "labels": map[string]any{
				"app.kubernetes.io/part-of": "fleet", "tenant": name(n)}},
			"spec": map[string]any{
				"placementRef": map[string]any{"name": name(n)},
				"target":       map[string]any{"serverName": fmt.Sprintf("pg-dedicated-%d", n%100)},
				"strategy":     "Offline",
				"backup":       map[string]any{"mode": "Skip"},
			}}}
		_, err := client.Create(context.Background(), object, metav1.CreateOptions{FieldManager: "bench"})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return writeStatus(client, n, 0)
	})
}

func change(kubeconfig string, count int) error {
	client, err := migrations(kubeconfig)
	if err != nil {
		return err
	}
	list, err := client.List(context.Background(), metav1.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	objects := 1
	if left := list.GetRemainingItemCount(); left != nil {
		objects += int(*left)
	}
	return each(count, func(n int) error { return writeStatus(client, n%objects, n+1) })
}

// What a migration that copies looks like, with a figure that changes.
func writeStatus(client dynamic.ResourceInterface, n, figure int) error {
	condition := func(kind, status, reason string) map[string]any {
		return map[string]any{"type": kind, "status": status, "reason": reason, "message": "as the last look has found",
			"lastTransitionTime": "2026-11-21T03:00:00Z", "observedGeneration": 1}
	}
	stage := func(name, state string) map[string]any {
		return map[string]any{"name": name, "state": state, "startedAt": "2026-11-21T03:00:00Z"}
	}
	status := map[string]any{"status": map[string]any{
		"phase": "Copying", "message": "copying", "observedGeneration": 1,
		"conditions": []any{condition("Ready", "False", "Copying"), condition("Reconciling", "True", "Copying"),
			condition("Succeeded", "Unknown", "Copying"), condition("PreflightPassed", "True", "Passed")},
		"stages": []any{stage("Preflight", "Succeeded"), stage("BackingUp", "Succeeded"),
			stage("Preparing", "Succeeded"), stage("Copying", "Running")},
		"progress": map[string]any{"bytesCopied": figure, "bytesTotal": 1 << 40},
	}}
	body, err := json.Marshal(status)
	if err != nil {
		return err
	}
	_, err = client.Patch(context.Background(), name(n), types.MergePatchType, body,
		metav1.PatchOptions{FieldManager: "bench"}, "status")
	return err
}
