"""The pins and what hangs on them, behind one-verb ports. Only this folder imports gpiozero."""
