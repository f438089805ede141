// Command idle measures what the agent takes while it has nothing to do: connected to the local
// cloud, with no stream configured.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/bench/keep"
	"github.com/kvs-edge/kvs-edge-agent/bench/proc"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
)

const hub = "bench-hub"

// figures of a run.
type figures struct {
	Seconds float64 `json:"seconds"`
	proc.Figures
	// ProgramBytes is the size of the program.
	ProgramBytes int64 `json:"program_bytes"`
}

func main() {
	agent := flag.String("agent", "bin/kvs-edge-agent", "our binary")
	warmUp := flag.Duration("warm-up", 45*time.Second, "how long the agent runs before")
	measure := flag.Duration("measure", 4*time.Minute, "how long it is measured; the kernel counts in hundredths of a second")
	out := flag.String("out", "", "append the figures as JSON lines to this file")
	flag.Parse()
	if err := run(*agent, *warmUp, *measure, *out); err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(1)
	}
}

func run(agent string, warmUp, measure time.Duration, out string) error {
	dir, remove, err := keep.Directory("")
	if err != nil {
		return err
	}
	defer remove()
	cloud, err := localcloud.Start(localcloud.Options{Dir: filepath.Join(dir, "cloud"), Seed: &localcloud.Seed{Things: []string{hub}}})
	if err != nil {
		return err
	}
	defer func() { _ = cloud.Close() }()
	program, err := os.Stat(agent)
	if err != nil {
		return err
	}
	agent, err = filepath.Abs(agent)
	if err != nil {
		return err
	}
	cmd := exec.Command(agent, "run")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true"}
	for _, v := range cloud.AgentEnv(hub) {
		cmd.Env = append(cmd.Env, v.String())
	}
	commands := []*exec.Cmd{cmd}
	defer proc.End(commands)
	if err := proc.StartAsService(cmd); err != nil {
		return err
	}
	<-time.After(warmUp)
	before, err := proc.ReadAll(commands)
	if err != nil {
		return err
	}
	began := time.Now()
	<-time.After(measure)
	after, err := proc.ReadAll(commands)
	if err != nil {
		return err
	}
	f := figures{Seconds: time.Since(began).Seconds(), Figures: after.Since(before), ProgramBytes: program.Size()}
	fmt.Printf("idle agent, %.0f s: %.1f MB resident, %.1f MB at its start, %.2f %% of a CPU, %d context switches; the program is %.1f MB\n",
		f.Seconds, float64(f.RSS)/1e6, float64(f.PeakRSS)/1e6, 100*f.CPU()/f.Seconds, f.Switches, float64(f.ProgramBytes)/1e6)
	return keep.Append(out, []figures{f})
}
