package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
)

type localCloudOptions struct {
	dir     string
	seed    string
	envFile string
	thing   string
}

func newLocalCloudCommand() *cobra.Command {
	var o localCloudOptions
	cmd := &cobra.Command{
		Use:   "localcloud",
		Short: "Run a local stand-in for AWS, to try agents and integrations without an account",
		Long: `Serves, on 127.0.0.1 and with the real protocols, what the agent needs of AWS: Kinesis Video Streams,
IoT Core messages and credentials, Secrets Manager, CloudWatch metrics and STS. Prints the environment
of the agent and of the user, one NAME=value a line, and runs until it is stopped.

To use the lines in a shell: set -a; . FILE; set +a

What was uploaded lies in the directory as one Matroska file per stream. With the same directory it
goes on where it stopped.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runLocalCloud(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", "", "where everything is kept (default: a new temporary directory)")
	flags.StringVar(&o.seed, "seed", "", "JSON file with streams, secrets, things and edge_configs that are to exist")
	flags.StringVar(&o.envFile, "env-file", "", "write the environment lines here too")
	flags.StringVar(&o.thing, "thing", demoThing, "the hub whose agent the environment lines are for")
	return cmd
}

func runLocalCloud(ctx context.Context, out io.Writer, o localCloudOptions) (err error) {
	options := localcloud.Options{Dir: o.dir}
	if o.seed != "" {
		if options.Seed, err = readSeed(o.seed); err != nil {
			return &exitError{exitSettings, err}
		}
	}
	if options.Dir == "" {
		if options.Dir, err = os.MkdirTemp("", "kvs-edge-cloud-"); err != nil {
			return fmt.Errorf("cannot make a directory for the local cloud: %w", err)
		}
	}
	cloud, err := localcloud.Start(options)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := cloud.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := cloud.AddThing(o.thing); err != nil {
		return &exitError{exitSettings, err}
	}
	lines := environmentLines(cloud, o.thing)
	if o.envFile != "" {
		// The user's key is in it.
		if err := os.WriteFile(o.envFile, []byte(lines), 0o600); err != nil {
			return fmt.Errorf("cannot write the environment lines: %w", err)
		}
	}
	fmt.Fprintf(out, "%s# The local cloud is up and keeps everything in %s; Ctrl-C stops it.\n", lines, cloud.Dir())
	<-ctx.Done()
	return nil
}

func readSeed(path string) (*localcloud.Seed, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the seed file: %w", err)
	}
	return localcloud.ParseSeed(data)
}

// environmentLines renders both environments so that a shell can source them.
func environmentLines(cloud *localcloud.Cloud, thing string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The agent of thing %s\n", thing)
	for _, v := range cloud.AgentEnv(thing) {
		fmt.Fprintf(&b, "%s=%s\n", v.Name, shellQuoted(v.Value))
	}
	b.WriteString("# The user: AWS CLI and SDKs\n")
	for _, v := range cloud.UserEnv() {
		fmt.Fprintf(&b, "%s=%s\n", v.Name, shellQuoted(v.Value))
	}
	return b.String()
}

// shellQuoted leaves plain values as they are, for readers that are no shells.
func shellQuoted(value string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+=:,@%", r)
	}
	if value != "" && strings.IndexFunc(value, func(r rune) bool { return !plain(r) }) < 0 {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
