"""What did it buy? Trials of several arms and seeds, paired; savings counted in everything that was generated."""
