package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

const bundleReadme = `Support bundle of kvs-edge-agent. Passwords, keys and credentials were taken out; no media is inside.

version.txt     what runs, and on what
settings.json   the settings in effect
status.json     the agent's state, and the same as a table in status.txt
metrics.txt     its numbers as Prometheus text
check.json      what ` + "`kvs-edge-agent check`" + ` finds
edge.json       the last good edge configurations of this hub
store.txt       the recordings: stream, file, bytes, time of the last change
disks.txt       the file systems of the recordings, the state and the logs
pressure.txt    what the kernel says of waiting, heat and wear
clock.txt       whether the clock is synchronised
logs/           the end of the newest log files
journal.txt     the end of what systemd noted of the service
missing.txt     what could not be collected, and why
`

func newSupportBundleCommand() *cobra.Command {
	var socket, out string
	cmd := &cobra.Command{
		Use:   "support-bundle",
		Short: "Pack settings, status, findings of a check, logs and a summary of the store, without secrets",
		Long: `Writes a .tar.gz to send to those who support you. It contains no media, and no passwords, keys or credentials. It does
contain stream names, camera addresses and paths. When no agent runs, the settings are those of
/etc/kvs-edge-agent/agent.env, and those of the environment for variables that the file does not set.

It runs the checks of check, for two minutes at most, and packs their results, the edge configurations, the state of
the clock and of the disks, and the last 2,000 lines of the service's journal too. What it cannot get is named in the
bundle and on the standard error.

Exit code: 0 when the bundle contains data of an agent, 1 when it contains none: no status, no settings, no logs and
no recordings.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			shell := os.Environ()
			unusable := useServiceSettings(serviceSettings)
			if out == "" {
				out = "kvs-edge-agent-support-" + time.Now().UTC().Format("20060102T150405Z") + ".tar.gz"
			}
			if terminalOf(cmd.ErrOrStderr()).present {
				fmt.Fprintf(cmd.ErrOrStderr(), "checking the hub, for %s at most\n", humanize.Length(bundleCheckTime))
			}
			b, err := writeBundle(cmd.Context(), out, clientOf(socket), shell, unusable)
			if err != nil {
				return err
			}
			for _, line := range b.missing {
				fmt.Fprintln(cmd.ErrOrStderr(), "not in the bundle:", line)
			}
			fmt.Fprintln(cmd.OutOrStdout(), out)
			if !b.useful {
				return errors.New("the bundle contains no data of an agent: name its socket with --socket, or run this as root or as a member of " +
					"the agent's group")
			}
			return nil
		},
	}
	socketFlag(cmd, &socket)
	cmd.Flags().StringVar(&out, "out", "", "the file to write (default: kvs-edge-agent-support-TIME.tar.gz)")
	return cmd
}

// writeBundle collects what it can get; what it cannot is listed in the bundle, and so is why the
// service's settings are unusable, or nil. shell are the variables as they were when the command began.
func writeBundle(ctx context.Context, path string, client *localapi.Client, shell []string, unusable error) (b *bundle, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot write the bundle: %w", err)
	}
	defer func() {
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	zipped := gzip.NewWriter(file)
	b = &bundle{tar: tar.NewWriter(zipped), now: time.Now()}
	b.miss("the service's settings", unusable)
	b.collect(ctx, client)
	b.part(ctx, "check.json", bundleCheckTime, func(ctx context.Context) ([]byte, error) { return checkFindings(ctx, shell) })
	b.add("missing.txt", []byte(strings.Join(append(slices.Clone(b.missing), ""), "\n")))
	return b, errors.Join(b.err, b.tar.Close(), zipped.Close())
}

func (b *bundle) collect(ctx context.Context, client *localapi.Client) {
	b.add("README.txt", []byte(bundleReadme))
	snapshot, err := client.Status(ctx)
	if err != nil {
		b.miss("status", err)
	} else {
		b.useful = true
		b.addJSON("status.json", snapshot)
		var table bytes.Buffer
		b.miss("status.txt", status.WriteTable(&table, snapshot))
		b.add("status.txt", table.Bytes())
	}
	b.add("version.txt", []byte(versions(snapshot)))
	list, err := client.Settings(ctx)
	if err != nil {
		b.miss("the agent's settings (those of this environment are taken)", err)
		list = environmentSettings()
		b.useful = b.useful || shellHasHub() // they are those of an agent
	}
	b.addJSON("settings.json", list)
	if text, err := client.Metrics(ctx); err != nil {
		b.miss("metrics.txt", err)
	} else {
		b.add("metrics.txt", text)
	}
	b.part(ctx, "pressure.txt", bundleToolTime, func(context.Context) ([]byte, error) { return pressureText(snapshot.PID), nil })
	b.collectHub(ctx, list)
}

// collectHub takes what lies in the directories of the settings, and what the machine knows of itself and the agent.
func (b *bundle) collectHub(ctx context.Context, list []localapi.Setting) {
	var disks bytes.Buffer
	for _, s := range list {
		switch s.Name {
		case settings.EnvLogOutputDirectory:
			b.addLogs(ctx, s.Value)
		case settings.EnvRecordingDirectory:
			b.part(ctx, "store.txt", bundleDiskTime, func(ctx context.Context) ([]byte, error) { return storeList(ctx, s.Value) })
		case settings.EnvStateDirectory:
			lastGood := func(context.Context) ([]byte, error) { return kvsconfig.LastGood(s.Value) }
			b.useful = b.part(ctx, "edge.json", bundleDiskTime, lastGood) || b.useful
		default:
			continue
		}
		text, err := within(ctx, bundleDiskTime, func(context.Context) ([]byte, error) { return diskText(s.Name, s.Value) })
		b.miss("disks.txt, "+s.Name, err)
		disks.Write(text)
	}
	b.add("disks.txt", disks.Bytes())
	b.part(ctx, "clock.txt", bundleToolTime, clockText)
	b.useful = b.part(ctx, "journal.txt", bundleToolTime, journal) || b.useful
}

// environmentSettings are those that an agent with this environment would have.
func environmentSettings() []localapi.Setting {
	s, err := settings.FromEnv(os.LookupEnv)
	if err == nil {
		return s.Table(os.LookupEnv)
	}
	var list []localapi.Setting
	for _, group := range settings.Variables() {
		for _, v := range group.Variables {
			if value, ok := os.LookupEnv(v.Name); ok {
				list = append(list, localapi.Setting{Name: v.Name, Value: value})
			}
		}
	}
	return list
}
