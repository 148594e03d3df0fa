"""The subcommands of ``aligncap``, one module each; ``aligncap.serving.cli`` lists them."""
