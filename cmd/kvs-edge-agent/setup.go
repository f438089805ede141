package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/connector"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

func newSetupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Make in an AWS account what hubs work with",
		Long: `Make in an AWS account what hubs work with, with the credentials of the user. "setup sitewise" makes the assets of a
hub and of its cameras in AWS IoT SiteWise.`,
		Args: arguments(0, 0, "it is followed by sitewise"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSetupSiteWiseCommand())
	return cmd
}

func newSetupSiteWiseCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "sitewise FILE",
		Short: "Make the SiteWise assets of a hub and of its cameras, their secrets and streams",
		Long: `Make what a hub needs that is configured by AWS IoT SiteWise, as a file in JSON says: asset models, the asset of the hub and
those of its cameras below it, their values, the notifications of requests for video, tags for the player of a TwinMaker
workspace, a secret with the URL of each camera, and streams. The models are those of the Greengrass component
aws.iot.EdgeConnectorForKVS, and models that exist are taken, by their names as its script does.

What exists is kept, and changed only where the file says otherwise: the command can be run again, after a change of the file or
when it failed. It deletes nothing. It needs no agent and no hub, and takes credentials, region and addresses as the AWS command
line does (AWS_PROFILE, AWS_REGION). The file has URLs of cameras with their passwords, so that only you should be able to read it.

Exit code: 0 when everything exists, 1 when something failed, 2 for wrong arguments or a wrong file.`,
		Example: `  kvs-edge-agent setup sitewise --dry-run yard.json
  kvs-edge-agent setup sitewise yard.json`,
		Args: arguments(1, 1, "name the file that says which cameras there are to be"),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := readPlan(args[0])
			if err != nil {
				return &exitError{exitSettings, err}
			}
			cfg, err := awsclient.Operator(cmd.Context(), version)
			if err != nil {
				return &exitError{exitSettings, err}
			}
			var writing error
			tell := func(s connector.Step) {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s: %s\n", s.Kind, s.Name, s.Done)
				writing = errors.Join(writing, err)
			}
			hub, err := connector.New(cfg, connector.Options{DryRun: dryRun, Tell: tell}).Run(cmd.Context(), plan)
			if err = errors.Join(err, writing); err != nil {
				return err
			}
			if hub != "" {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "the asset of hub %s is %s: %s\n", shownName(plan.Hub), hub, nextStep(hub, dryRun))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be made or changed")
	return cmd
}

// nextStep says what to do with the asset of the hub.
func nextStep(hub string, dryRun bool) string {
	if dryRun {
		return "nothing was changed; run the command without --dry-run"
	}
	return fmt.Sprintf("set %s=%s on the hub (in a component of Greengrass SiteWiseAssetIdForHub), restart its agent, and run "+
		"`kvs-edge-agent check` there", settings.EnvSiteWiseHub, hub)
}

// readPlan reads the file of a setup.
func readPlan(name string) (p connector.Plan, err error) {
	file, err := os.Open(name)
	if err != nil {
		return p, fmt.Errorf("cannot read %s: %w", shownName(name), cause(err))
	}
	defer func() { _ = file.Close() }() // it is only read
	if p, err = connector.ReadPlan(file); err != nil {
		return p, fmt.Errorf("%s: %w", shownName(name), cause(err))
	}
	return p, nil
}
