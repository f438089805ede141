package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/logfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/preflight/running"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

func newRunCommand() *cobra.Command {
	var envFile string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the agent until it is stopped",
		Long: `Run the agent until it is stopped. Its settings come from the file of --env-file, whose syntax
is that of systemd's EnvironmentFile=, and from the environment; the file takes precedence.

SIGHUP, or kvs-edge-agent reload, makes the agent read the file again; without a file SIGHUP stops
the agent.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var hangups chan os.Signal
			if envFile != "" { // first of all: until then the signal would end the process
				hangups = make(chan os.Signal, 1)
				signal.Notify(hangups, syscall.SIGHUP)
				defer signal.Stop(hangups)
			}
			source := settings.NewEnvSource(envFile, os.Environ())
			initial, err := source.Read()
			if err != nil {
				return &exitError{exitSettings, err}
			}
			if err := initial.Export(); err != nil {
				return &exitError{exitSettings, err}
			}
			wanted, err := initial.Settings()
			if err != nil {
				return &exitError{exitSettings, err}
			}
			file, err := logfile.Open(wanted.Log)
			if err != nil {
				return &exitError{exitSettings, err}
			}
			defer func() { _ = file.Close() }() // each line is with the kernel already
			level := logfile.NewLevel(wanted.Log.Level)
			log := logfile.NewLogger(file, level)
			a, err := agent.New(wanted, agent.Options{
				Version: version, Log: log, LogLevel: level, LogFile: file, Source: source, Initial: initial, ReloadRequests: hangups,
				Check: running.New(running.Options{Source: source, Initial: initial, Version: version}).ForPeer,
			})
			if err != nil {
				logevent.StartFailed.Log(log, zap.Error(err))
				var wrong *settings.Error
				if errors.As(err, &wrong) {
					return &exitError{exitSettings, err}
				}
				return err
			}
			return a.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&envFile, "env-file", "", "read settings from this `file`; takes precedence over the environment")
	return cmd
}
