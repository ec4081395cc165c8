"""Wan text-to-video models as packages: from diffusers folders, and from the single files that ComfyUI reads."""
