package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
)

func newCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look at everything the agent needs, from its settings to its cameras, and say what to mend",
		Long: `Look at the settings, the files, the device certificate, the clock, every endpoint, the
credentials, the MQTT connection, and for each stream of this hub at its configuration, its secret,
its camera (for some seconds) and its retention; last at the disk. A line each: ✔ or ✘ with what to do.

It reads the same environment as run or, in a shell without settings, that of the service
(/etc/kvs-edge-agent/agent.env), and then, where root calls it, looks at everything with the rights
of the service's user. It changes nothing, and works while the agent runs.

Exit code: 0 when all is well, 1 otherwise.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			report := struct {
				OK       bool            `json:"ok"`
				Findings []agent.Finding `json:"findings"`
			}{Findings: []agent.Finding{}}
			tell := func(f agent.Finding) {
				report.Findings = append(report.Findings, f)
				if !asJSON {
					writeFinding(out, f)
				}
			}
			if err := beTheService(serviceSettings, serviceUser); err != nil {
				for _, text := range faultsOf(err) {
					tell(agent.Finding{Check: "settings", Text: text + "."})
				}
			} else {
				report.OK = agent.Check(cmd.Context(), agent.CheckOptions{Getenv: os.LookupEnv, Report: tell, Version: version})
			}
			if asJSON {
				encoder := json.NewEncoder(out)
				encoder.SetIndent("", "  ")
				if err := encoder.Encode(report); err != nil {
					return err
				}
			}
			if !report.OK {
				return &exitError{code: exitFailure}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// faultsOf takes what is wrong with the settings apart.
func faultsOf(err error) []string {
	var wrong *agent.SettingsError
	if errors.As(err, &wrong) {
		return wrong.Faults
	}
	return []string{err.Error()}
}

func writeFinding(w io.Writer, f agent.Finding) {
	mark := "✘"
	if f.OK {
		mark = "✔"
	}
	what := f.Check
	if f.Stream != "" {
		what = f.Stream + " " + what
	}
	fmt.Fprintf(w, "%s %-22s %s\n", mark, what, f.Text)
}
