package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

type localCloudOptions struct {
	dir     string
	seed    string
	envFile string
	thing   string
	listen  loopback
	region  string

	asAWS      bool
	allow      []string
	media      string
	printCalls bool
}

func newLocalCloudCommand() *cobra.Command {
	var o localCloudOptions
	cmd := &cobra.Command{
		Use:   "localcloud",
		Short: "Run a local stand-in for AWS, to try agents and integrations without an account",
		Long: `Serves the parts of AWS that the agent needs on 127.0.0.1, or with --listen '[::1]' on IPv6 only,
with the real protocols: Kinesis Video Streams,
IoT Core messages and credentials, Secrets Manager, CloudWatch metrics and STS. Prints the environment
of the agent and of the user, one NAME=value a line, and runs until it is stopped.

To use the lines in a shell: set -a; . FILE; set +a

Each refusal is a line on standard error: the operation, the resource, the caller, the error, where
the fault is and why. With --print-calls each request and MQTT packet is a line there too.

With --as-aws it answers nothing that AWS would not answer: the messages of docs/mqtt.md change no
sync status, and hubs have the rights of AWS's guide only. Add others with --allow.

Uploaded media is kept in the directory as one Matroska file per stream. With the same directory it
continues where it stopped.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runLocalCloud(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", "", "where everything is kept (default: a new temporary directory)")
	flags.StringVar(&o.seed, "seed", "", "JSON file with streams, secrets, things and edge_configs that are to exist")
	flags.StringVar(&o.envFile, "env-file", "", "write the environment lines here too")
	flags.StringVar(&o.thing, "thing", demoThing, "the hub whose agent the environment lines are for")
	flags.Var(&o.listen, "listen", "the address to listen on, one of this machine alone (default 127.0.0.1)")
	flags.StringVar(&o.region, "region", localcloud.Region, regionUsage)
	flags.BoolVar(&o.asAWS, "as-aws", false, "answer nothing that AWS would not answer, with the rights of AWS's guide")
	flags.StringArrayVar(&o.allow, "allow", nil, "an action that hubs may perform besides, as IAM names it: iot:RetainPublish for "+
		"example; may be repeated")
	flags.StringVar(&o.media, "media", "", "what is refused of uploaded media: strict (what a player cannot play) or service (what AWS "+
		"does not store);\ndefault strict, with --as-aws service")
	flags.BoolVar(&o.printCalls, "print-calls", false, "print a line for each request and MQTT packet on standard error")
	cmd.AddCommand(newLocalCloudBillCommand())
	return cmd
}

// options checks the flags and turns them into those of the cloud.
func (o localCloudOptions) options(complaints io.Writer) (localcloud.Options, error) {
	options := localcloud.Options{Dir: o.dir, Address: o.listen.Addr, Region: o.region, AsAWS: o.asAWS, Allow: o.allow, Refusals: complaints}
	if o.printCalls {
		options.Calls = complaints
	}
	if err := localcloud.CheckAllow(o.allow); err != nil {
		return options, fmt.Errorf("--allow: %w", err)
	}
	switch {
	case o.media == "strict" && o.asAWS:
		return options, errors.New("--media strict and --as-aws exclude each other: AWS stores what no player plays")
	case o.media == "service":
		options.Strictness = media.AsStored
	case o.media != "" && o.media != "strict":
		return options, fmt.Errorf("--media is %q; it must be strict or service", o.media)
	}
	return options, nil
}

func runLocalCloud(ctx context.Context, out, complaints io.Writer, o localCloudOptions) (err error) {
	options, err := o.options(complaints)
	if err == nil {
		err = checkRegion(o.region)
	}
	if err != nil {
		return &exitError{exitSettings, err}
	}
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
	for _, stream := range cloud.Media().Stored() {
		// A stream that was deleted, or whose media nobody can play, has no address.
		if url, err := cloud.PlaybackURL(stream); err == nil {
			lines += fmt.Sprintf("# Play %s for 12 hours: %s\n", stream, url)
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

// shellQuoted leaves plain values as they are, for readers other than shells.
func shellQuoted(value string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+=:,@%", r)
	}
	if value != "" && strings.IndexFunc(value, func(r rune) bool { return !plain(r) }) < 0 {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
