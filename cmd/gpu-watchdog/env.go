package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newEnv() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print every setting, its value and where it came from",
		Long: "Print every setting, its value and where it came from. Secrets show as [secret].\n" +
			"Settings are environment variables; a mistake in any of them is an error with exit code 2.",
		Example: "  gpu-watchdog env\n  gpu-watchdog env --output json | jq '.[] | select(.origin != \"default\")'",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := settings()
			if err != nil {
				return err
			}
			rows, out := cfg.Table(), cmd.OutOrStdout()
			switch output {
			case "table":
				w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "VARIABLE\tVALUE\tORIGIN")
				for _, r := range rows {
					fmt.Fprintf(w, "%s\t%s\t%s\n", r.Variable, r.Value, r.Origin)
				}
				err = w.Flush()
			case "json":
				enc := json.NewEncoder(out)
				enc.SetIndent("", "  ")
				err = enc.Encode(rows)
			case "csv":
				w := csv.NewWriter(out)
				records := [][]string{{"variable", "value", "origin", "type", "default", "meaning"}}
				for _, r := range rows {
					records = append(records, []string{r.Variable, r.Value, string(r.Origin), r.Type, r.Default, r.Meaning})
				}
				err = w.WriteAll(records)
			default:
				err = wrongUse{fmt.Errorf("--output %q is none of table, json, csv", output)}
			}
			if err != nil {
				return err
			}
			for _, warning := range cfg.Warnings() {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+warning)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, json or csv")
	return cmd
}
