// Command kubernetes is etcd, the whole of Kubernetes and CoreDNS in one program. It does what the name says
// that it is called by, or its first argument.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"todohost.test/kubernetes/dns"
)

func main() {
	name := filepath.Base(os.Args[0])
	programs := map[string]func() int{
		"kube-apiserver":          func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
		"kube-controller-manager": func() int { return cli.Run(controllers.NewControllerManagerCommand()) },
		"kube-scheduler":          func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
		"kube-proxy":              func() int { return cli.Run(proxy.NewProxyCommand()) },
		"kubelet":                 func() int { return cli.Run(kubelet.NewKubeletCommand(context.Background())) },
		"kubectl":                 func() int { return plain(kubectl.NewDefaultKubectlCommand()) },
		"kubeadm":                 func() int { return code(kubeadm.Run()) },
		"coredns":                 func() int { dns.Run(); return 0 },
		"etcd":                    func() int { etcdmain.Main(os.Args); return 0 },
	}
	program, known := programs[name]
	if !known && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = filepath.Base(os.Args[0])
		program, known = programs[name]
	}
	if !known {
		fmt.Fprintf(os.Stderr, "%s: call it as kube-apiserver, kubelet, kubectl, kubeadm, etcd, coredns...\n", name)
		os.Exit(2)
	}
	os.Exit(program())
}

// plain runs a command that prints its own errors badly: kubectl's come without usage.
func plain(command *cobra.Command) int {
	return code(cli.RunNoErrOutput(command))
}

func code(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
