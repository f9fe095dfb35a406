// SPDX-License-Identifier: Apache-2.0

// The controller of ours.cc on controller-runtime, with its defaults: it caches every
// TenantMigration, decoded, and its reconcile looks the object up. Says the same on stdout.
//
// `peer load KUBECONFIG ETCD NUMBER` makes that many objects; `peer change ETCD OBJECTS NUMBER` writes
// that many times, each time to another of the objects. `peer decode RECORDING` is decode.cc.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager/signals"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/scheme"
)

var changes atomic.Int64

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func memoryKibibytes(name string) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, found := strings.CutPrefix(line, name+":"); found {
			kibibytes, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kibibytes
		}
	}
	return 0
}

func say(what string) {
	fmt.Printf("{\"event\":%q,\"cpuSeconds\":%f,\"rssKibibytes\":%d,\"peakRssKibibytes\":%d,\"changes\":%d}\n",
		what, cpuSeconds(), memoryKibibytes("VmRSS"), memoryKibibytes("VmHWM"), changes.Load())
}

type reconciler struct {
	client   client.Client
	expected int
	mutex    sync.Mutex
	seen     map[string]bool
	said     bool
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var migration TenantMigration
	if err := r.client.Get(ctx, request.NamespacedName, &migration); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.said {
		return ctrl.Result{}, nil
	}
	r.seen[request.String()] = true
	if len(r.seen) >= r.expected {
		r.said, r.seen = true, nil
		say("reconciled")
	}
	return ctrl.Result{}, nil
}

func run(kubeconfig string, expected int, lease, identity string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	builder := &scheme.Builder{GroupVersion: schema.GroupVersion{Group: "cutover.dev", Version: "v1alpha1"}}
	builder.Register(&TenantMigration{}, &TenantMigrationList{})
	types, err := builder.Build()
	if err != nil {
		return err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        types,
		Metrics:                       server.Options{BindAddress: "0"},
		LeaderElection:                lease != "",
		LeaderElectionID:              lease,
		LeaderElectionNamespace:       "default",
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return err
	}
	stop := signals.SetupSignalHandler()
	informer, err := manager.GetCache().GetInformer(stop, &TenantMigration{})
	if err != nil {
		return err
	}
	note := func() { changes.Add(1) }
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { note() },
		UpdateFunc: func(any, any) { note() },
		DeleteFunc: func(any) { note() },
	}); err != nil {
		return err
	}
	reconciles := &reconciler{client: manager.GetClient(), expected: expected, seen: map[string]bool{}}
	if err := ctrl.NewControllerManagedBy(manager).For(&TenantMigration{}).Complete(reconciles); err != nil {
		return err
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for range asked {
			say("stats")
		}
	}()
	go func() {
		<-manager.Elected()
		say("leading")
	}()
	return manager.Start(stop)
}

func main() {
	log.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	words := os.Args[1:]
	var err error
	switch {
	case len(words) == 4 && words[0] == "load":
		err = load(words[1], words[2], number(words[3]))
	case len(words) == 4 && words[0] == "change":
		err = change(words[1], number(words[2]), number(words[3]))
	case len(words) == 2 && words[0] == "decode":
		err = decode(words[1])
	case len(words) == 2:
		err = run(words[0], number(words[1]), "", "")
	case len(words) == 4:
		err = run(words[0], number(words[1]), words[2], words[3])
	default:
		err = errors.New("usage: peer KUBECONFIG EXPECTED [LEASE IDENTITY]" +
			" | load KUBECONFIG ETCD NUMBER | change ETCD OBJECTS NUMBER | decode RECORDING")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return value
}
