// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A write of one of our objects costs the API server 10 ms of its processor time (schema, CEL,
// managed fields), and this benchmark is not about that. So one object is made through it, and all
// others are that one's copies in etcd, which the API server reads and watches as if it had
// written them itself.

const writers = 4

type object = map[string]any

// etcd is its JSON gateway; bytes travel as base64.
type etcd struct {
	url    string
	client http.Client
}

func newEtcd(url string) *etcd {
	return &etcd{url: url, client: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}}}
}

func (e *etcd) call(method string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	response, err := e.client.Post(e.url+"/v3/kv/"+method, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd answers %s to %s", response.Status, method)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

func (e *etcd) put(key string, value object) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return e.call("put", map[string][]byte{"key": []byte(key), "value": text}, &struct{}{})
}

func (e *etcd) get(key string) (object, error) {
	var found struct{ Kvs []struct{ Value []byte } }
	if err := e.call("range", map[string][]byte{"key": []byte(key)}, &found); err != nil {
		return nil, err
	}
	if len(found.Kvs) != 1 {
		return nil, errors.New("etcd has no " + key)
	}
	var value object
	return value, json.Unmarshal(found.Kvs[0].Value, &value)
}

func name(n int) string { return fmt.Sprintf("tenant-%05d", n) }

func keyOf(name string) string { return "/registry/cutover.dev/tenantmigrations/default/" + name }

// copyOf gives object `n` like `one`, with a figure that changes.
func copyOf(one object, n, figure int) (object, error) {
	text, err := json.Marshal(one)
	if err != nil {
		return nil, err
	}
	var made object
	if err := json.Unmarshal(text, &made); err != nil {
		return nil, err
	}
	metadata, spec := made["metadata"].(object), made["spec"].(object)
	metadata["name"] = name(n)
	metadata["uid"] = fmt.Sprintf("0badcafe-0000-4000-8000-%012d", n)
	metadata["labels"].(object)["tenant"] = name(n)
	spec["placementRef"] = object{"name": name(n)}
	spec["target"] = object{"serverName": fmt.Sprintf("pg-dedicated-%d", n%100)}
	made["status"].(object)["progress"].(object)["bytesCopied"] = figure
	return made, nil
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

// load makes the objects, each a revision of its own, as the API server's writes are.
func load(kubeconfig, etcdURL string, count int) error {
	client, err := migrations(kubeconfig)
	if err != nil {
		return err
	}
	if err := makeFirst(client); err != nil {
		return err
	}
	store := newEtcd(etcdURL)
	one, err := store.get(keyOf("first"))
	if err != nil {
		return err
	}
	if err := client.Delete(context.Background(), "first", metav1.DeleteOptions{}); err != nil {
		return err
	}
	return each(count, func(n int) error { return putCopy(store, one, n, 0) })
}

// change writes `count` times, in turn to each of `objects`.
func change(etcdURL string, objects, count int) error {
	store := newEtcd(etcdURL)
	one, err := store.get(keyOf(name(0)))
	if err != nil {
		return err
	}
	return each(count, func(n int) error { return putCopy(store, one, n%objects, n+1) })
}

func putCopy(store *etcd, one object, n, figure int) error {
	made, err := copyOf(one, n, figure)
	if err != nil {
		return err
	}
	return store.put(keyOf(name(n)), made)
}

func migrations(kubeconfig string) (dynamic.ResourceInterface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	resource := schema.GroupVersionResource{Group: "cutover.dev", Version: "v1alpha1", Resource: "tenantmigrations"}
	return client.Resource(resource).Namespace("default"), nil
}

func makeFirst(client dynamic.ResourceInterface) error {
	first := &unstructured.Unstructured{Object: object{
		"apiVersion": "cutover.dev/v1alpha1",
		"kind":       "TenantMigration",
		"metadata": object{"name": "first", "labels": object{
			"app.kubernetes.io/part-of": "fleet", "tenant": "first"}},
		"spec": object{
			"placementRef": object{"name": "first"},
			"target":       object{"serverName": "pg-dedicated-1"},
			"strategy":     "Offline",
			"backup":       object{"mode": "Skip"},
		}}}
	if _, err := client.Create(context.Background(), first, metav1.CreateOptions{FieldManager: "bench"}); err != nil {
		return err
	}
	body, err := json.Marshal(object{"status": completedStatus()})
	if err != nil {
		return err
	}
	_, err = client.Patch(context.Background(), "first", types.MergePatchType, body,
		metav1.PatchOptions{FieldManager: "bench"}, "status")
	return err
}

// What a migration that is over looks like: all but a few of ten thousand are.
func completedStatus() object {
	condition := func(kind, status, reason string) object {
		return object{"type": kind, "status": status, "reason": reason, "message": "as the last look has found",
			"lastTransitionTime": "2026-11-21T03:00:00Z", "observedGeneration": 1}
	}
	stage := func(name, state string) object {
		return object{"name": name, "state": state, "startedAt": "2026-11-21T03:00:00Z"}
	}
	return object{
		"phase": "Completed", "message": "the tenant lives on pg-dedicated-1", "observedGeneration": 1,
		"conditions": []any{condition("Ready", "True", "Completed"), condition("Reconciling", "False", "Completed"),
			condition("Succeeded", "True", "Completed"), condition("PreflightPassed", "True", "Passed")},
		"stages": []any{stage("Preflight", "Succeeded"), stage("BackingUp", "Succeeded"),
			stage("Preparing", "Succeeded"), stage("Copying", "Succeeded")},
		"progress": object{"bytesCopied": 0, "bytesTotal": 1 << 40},
	}
}
