// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/scheme"
)

// recording is a server with an empty list and one watch. See ../decode.cc.
type recording struct {
	bytes   []byte
	watched atomic.Bool
}

func (r *recording) RoundTrip(request *http.Request) (*http.Response, error) {
	answer := func(body io.Reader) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Request: request,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body)}, nil
	}
	if request.URL.Query().Get("watch") == "" {
		return answer(bytes.NewBufferString(`{"apiVersion":"cutover.dev/v1alpha1","kind":"TenantMigrationList",` +
			`"metadata":{"resourceVersion":"1"},"items":[]}`))
	}
	if r.watched.Swap(true) {
		return nil, io.ErrUnexpectedEOF
	}
	return answer(bytes.NewReader(r.bytes))
}

func decode(path string) error {
	recorded, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	events := int64(bytes.Count(recorded, []byte("\n")))
	group := schema.GroupVersion{Group: "cutover.dev", Version: "v1alpha1"}
	builder := &scheme.Builder{GroupVersion: group}
	builder.Register(&TenantMigration{}, &TenantMigrationList{})
	types, err := builder.Build()
	if err != nil {
		return err
	}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{group})
	mapper.Add(group.WithKind("TenantMigration"), meta.RESTScopeNamespace)
	config := &rest.Config{Host: "http://recording", QPS: -1}
	objects, err := cache.New(config, cache.Options{Scheme: types, Mapper: mapper,
		HTTPClient: &http.Client{Transport: &recording{bytes: recorded}}})
	if err != nil {
		return err
	}
	stop, cancel := context.WithCancel(context.Background())
	defer cancel()
	informer, err := objects.GetInformer(stop, &TenantMigration{}, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	note := func() { changes.Add(1) }
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { note() }, UpdateFunc: func(any, any) { note() },
	}); err != nil {
		return err
	}
	before := cpuSeconds()
	go func() { _ = objects.Start(stop) }()
	for deadline := time.Now().Add(5 * time.Minute); changes.Load() < events; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d changes of %d lines", changes.Load(), events)
		}
	}
	fmt.Printf("{\"changes\":%d,\"cpuSeconds\":%f}\n", changes.Load(), cpuSeconds()-before)
	return nil
}
