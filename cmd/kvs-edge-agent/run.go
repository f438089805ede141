package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
)

func newRunCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the agent until it is stopped; its settings come from the environment",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := agent.SettingsFromEnv(os.LookupEnv)
			if err != nil {
				return &exitError{exitSettings, err}
			}
			level := agent.NewLogLevel(settings.Log.Level)
			log, closeLog, err := agent.NewLogger(settings.Log, level)
			if err != nil {
				return &exitError{exitSettings, err}
			}
			defer closeLog()
			a, err := agent.New(settings, agent.Options{Version: version, Log: log, LogLevel: level, Getenv: os.LookupEnv})
			if err != nil {
				log.Error("cannot start", zap.Error(err))
				var wrong *agent.SettingsError
				if errors.As(err, &wrong) {
					return &exitError{exitSettings, err}
				}
				return err
			}
			return a.Run(cmd.Context())
		},
	}
}
